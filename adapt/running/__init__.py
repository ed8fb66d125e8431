"""A recipe carried out: what is to do, each step made, checked and gated, the evidence gathered, the model handed over."""
