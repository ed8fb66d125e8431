"""The report as one HTML page: no script, nothing loaded from elsewhere, every text of the data escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from adapt.escaping import clean
from adapt.report import formatting, plots, sections
from adapt.report.run_folder import MinedRow, RunFolder
from adapt.results import StepResult, TopicComparison
from adapt.run_details import CheckComparison, Counts, ItemChange, MiningReport, QueryNeighbours, SilverSummary, TrainingCurve

MAX_TOPICS = 16  # of the plot: the worst and the best half of them
ENDS = 6  # items shown of either end of the sorted gains


def page(run: RunFolder) -> str:
    """The whole page."""
    import jinja2
    import yaml

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_printable,
    )  # fmt: skip
    environment.filters.update(
        points=formatting.format_points, metric=formatting.format_metric, p=formatting.format_p, value=formatting.format_value,
        duration=formatting.format_duration, interval=formatting.format_interval, bar=plots.bar,
        spaced=lambda name: str(name).replace("_", " "),
    )  # fmt: skip
    result = run.result
    main = [(row.metric, row) for row in result.test if result.is_main(row.metric)]
    lock = yaml.safe_dump(result.lock.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return environment.get_template("report.html.j2").render(
        r=result,
        facts=sections.headline(result),
        guards=sections.guards(result),
        test_plot=plots.forest(main, "change of each metric on test data") if main else None,
        trajectories=[(one, plots.trajectory(one.points, _title(one), one.floor)) for one in sections.trajectories(result)],
        dev_rows=sections.dev_rows(result),
        topics=_topics(result.topics),
        items=[_items(name, check) for name, check in run.per_example.checks.items()],
        mined=[_mined(run, step, report) for step in result.steps if (report := run.mining_report(step))],
        silver=[_silver(step, summary) for step in result.steps if (summary := run.silver_summary(step)) and summary.histogram],
        curves=[_curve(step, curve) for step in result.steps if (curve := run.training_curve(step)) and curve.losses],
        flow=sections.row_flow(result),
        lengths=list(sections.step_lengths(run)),
        leaks=sections.leak_table(result),
        times=sections.time_shares(result),
        health=sections.health_rows(result),
        speed=result.speed.model_dump(exclude_none=True) if result.speed else {},
        lock=Markup("<pre>{}</pre>").format(clean(lock, 100_000)),
    )


def _printable(value: object) -> Markup | str:
    """What a template prints: plots unchanged, everything else as cleaned text, which autoescape then escapes."""
    return value if isinstance(value, Markup) else clean(str(value))


def _title(trajectory: sections.Trajectory) -> str:
    return f"{trajectory.check} {trajectory.metric} on dev data after each step"


@dataclass(frozen=True)
class Topics:
    """Topics, worst first, and a plot of the worst and the best of them."""

    rows: Sequence[TopicComparison]
    drawn: int
    plot: Markup


def _topics(topics: Sequence[TopicComparison]) -> Topics | None:
    if not topics:
        return None
    rows = sorted(topics, key=lambda row: row.delta)
    half = MAX_TOPICS // 2
    drawn = rows if len(rows) <= MAX_TOPICS else [*rows[:half], *rows[-half:]]
    named = [(f"{clean(row.topic, 26)} ({row.items:,})", row) for row in drawn]
    return Topics(rows, len(drawn), plots.forest(named, "change of each topic"))


@dataclass(frozen=True)
class Items:
    """The per-example comparison of one check."""

    check: str
    comparison: CheckComparison
    gains: Markup | None
    ends: Sequence[ItemChange]  # the largest gains and losses
    cosines: Sequence[tuple[str, Markup]]  # (model, histograms)
    neighbours: Sequence[QueryNeighbours]


def _items(name: str, check: CheckComparison) -> Items:
    gains: Markup | None = None
    ends: Sequence[ItemChange] = ()
    if check.gains:
        items = check.gains.items
        gains = plots.gains([item.gain for item in items], f"change of {check.metric} of each item, sorted")
        ends = [item for item in (items if len(items) <= 2 * ENDS else [*items[:ENDS], *items[-ENDS:]]) if item.gain]
    cosines: list[tuple[str, Markup]] = []
    if check.cosines:
        sides = {"base": check.cosines.base.counts, "final": check.cosines.final.counts}
        cosines = list(zip(sides, _cosine_histograms({f"cosines of the {n} model": c for n, c in sides.items()}), strict=True))
    return Items(name, check, gains, ends, cosines, check.neighbours)


def _cosine_histograms(sides: dict[str, Counts]) -> list[Markup]:
    """One plot for each {label: histograms over -1 to 1}, on the same axes, cut to the bins that hold anything."""
    all_counts = [counts for side in sides.values() for counts in side.values()]
    bins = len(all_counts[0])
    filled = [i for counts in all_counts for i, count in enumerate(counts) if count]
    first, last = max(0, min(filled, default=0) - 1), min(bins, max(filled, default=bins - 1) + 2)
    low, high = (-1 + 2 * edge / bins for edge in (first, last))
    cut = {label: {name: counts[first:last] for name, counts in side.items()} for label, side in sides.items()}
    top = plots.highest_share(*cut.values())
    return [plots.histogram(side, low, high, label, top) for label, side in cut.items()]


@dataclass(frozen=True)
class Mined:
    """A mining step: its report, and the first rows of its tables."""

    step: StepResult
    report: MiningReport
    plot: Markup
    hardest: Sequence[MinedRow]
    suspected: Sequence[MinedRow]


def _mined(run: RunFolder, step: StepResult, report: MiningReport) -> Mined:
    [plot] = _cosine_histograms({"cosines of positives, negatives and random passages": report.histograms})
    return Mined(step, report, plot, run.mined_rows(step, "hardest"), run.mined_rows(step, "suspected"))


@dataclass(frozen=True)
class Silver:
    """Scores of silver pairs beside those of gold pairs and of all candidates."""

    step: StepResult
    plot: Markup
    series: Sequence[str]
    facts: Sequence[tuple[str, float]]


def _silver(step: StepResult, summary: SilverSummary) -> Silver:
    series = {name: summary.histogram[name] for name in ("gold", "silver", "candidates") if summary.histogram.get(name)}
    plot = plots.histogram(series, 0.0, 1.0, "scores of gold pairs, silver pairs and candidates")
    return Silver(step, plot, list(series), summary.facts())


def _curve(step: StepResult, curve: TrainingCurve) -> tuple[StepResult, TrainingCurve, Markup]:
    return step, curve, plots.training_curve(curve, f"loss of {step.id} over {len(curve.losses):,} steps")
