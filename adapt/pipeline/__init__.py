"""A recipe from plan to report: executor, gate, measurements, results, export."""
