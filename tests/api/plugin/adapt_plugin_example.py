"""An example of a package that adds a stage and a kind of check to adapt: pyproject.toml registers both by name."""

from pydantic import Field

from adapt.checks import Measurement
from adapt.checks.kinds.sts import Sts
from adapt.job import Job
from adapt.records import Pair, Pairs, Texts
from adapt.stages import PositiveInt, Stage


class FirstWords(Stage):
    """Pair each text with its first words."""

    output_name = "beginnings"  # the name by which later steps of a recipe refer to the pairs
    words: PositiveInt = Field(5, description="words of the anchor")

    def run(self, texts: Texts, job: Job) -> Pairs:
        return [Pair(" ".join(text.text.split()[: self.words]), text.text) for text in texts]


class MeanSimilarity(Sts):
    """The mean similarity of scored pairs."""

    main_metric = "mean"

    def measure(self, data, model) -> Measurement:
        scores = model.score([(pair.sentence1, pair.sentence2) for pair in data])
        return Measurement({"mean": float(scores.mean())}, {"mean": scores.tolist()}, len(data))
