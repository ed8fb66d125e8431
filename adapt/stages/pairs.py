"""Make training pairs from raw text: title and body, heading and section, a sentence and the rest of its passage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import Pair, Pairs, Text, Texts
from adapt.stages import PositiveInt, Share, Stage

if TYPE_CHECKING:
    import numpy as np

Form = Literal["title-body", "heading-section", "sentence-rest"]


@dataclass(frozen=True)
class _Document:
    """A text in parts: `row` in the texts, sections of (heading, sentences); `group` is the group of its pairs."""

    row: int
    group: str
    title: str
    sections: Sequence[tuple[str, Sequence[str]]]


class PairsFromText(Stage):
    """Make training pairs from raw text: title and body, heading and section, a sentence and the rest of its passage.

    Weak supervision for a domain without queries. A sentence and the rest of its passage is the inverse cloze task (Lee, Chang &
    Toutanova 2019, https://arxiv.org/abs/1906.00300). Without a column `title`, titles are detected: on a line of their own, before
    the first section, or joined to the first sentence. Near-duplicates are dropped, and each anchor is used once. A recipe
    removes the texts of dev and test data first.
    """

    output_name: ClassVar[str] = "pseudo"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"texts": ("corpus",)}
    example: ClassVar[str] = "adapt pairs --texts passages.jsonl --out pseudo.jsonl --pairs 300"

    forms: tuple[Form, ...] = Field(
        ("title-body", "heading-section", "sentence-rest"),
        min_length=1,
        description="kinds of pairs, preferred first where a text gives more than max_per_document",
    )
    pairs: PositiveInt | None = Field(None, description="maximum number of pairs, sampled at random; default: all")
    max_per_document: PositiveInt = Field(1, description="maximum pairs per text")
    min_words: PositiveInt = Field(3, description="minimum words of a title, heading or sentence")
    max_words: PositiveInt = Field(40, description="maximum words of a title, heading or sentence")
    min_passage_words: PositiveInt = Field(20, description="minimum words of a body, section or rest")
    max_passage_words: PositiveInt = Field(200, description="maximum words of a passage, which is cut after a sentence")
    keep_sentence: Share = Field(0.1, description="fraction of the passages that keep their query sentence")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        if self.min_words > self.max_words or self.min_passage_words > self.max_passage_words:
            return ["min_words and min_passage_words can't be above max_words and max_passage_words"]
        return []

    def run(self, texts: Texts, job: Job) -> Pairs:
        """Pairs with the text's group (or id) and their form as origin. Raises UserError where the texts give none."""
        import numpy as np

        from adapt.errors import UserError
        from adapt.text.near_duplicates import deduplicate

        kept = deduplicate([text.text for text in texts])
        documents = _documents([texts[i] for i in kept], kept)
        made = [pair for document in documents for pair in self._capped(document, job)]
        fresh = self._without_repeats(made)
        drawn = fresh
        if self.pairs is not None and len(fresh) > self.pairs:
            drawn = [fresh[i] for i in sorted(np.random.default_rng(job.seed).permutation(len(fresh))[: self.pairs])]
        if not drawn:
            raise UserError(
                f"pairs: {len(documents):,} texts ({sum(bool(d.title) for d in documents):,} with a title) gave no pair of forms "
                f"{', '.join(self.forms)}; widen min_words, max_words and min_passage_words, or name other forms"
            )
        by_form = dict(Counter(pair.origin for pair in drawn))
        job.counts.update(
            texts=len(texts), titles=sum(bool(d.title) for d in documents), near_duplicate_texts=len(texts) - len(kept),
            repeated_pairs=len(made) - len(fresh), **by_form,
        )  # fmt: skip
        job.note(
            f"pairs: {len(drawn):,} pairs ({', '.join(f'{form} {count:,}' for form, count in by_form.items())}); "
            f"{len(texts) - len(kept):,} near-duplicate texts and {len(made) - len(fresh):,} repeated pairs left out"
        )
        return drawn

    def _capped(self, document: _Document, job: Job) -> list[Pair]:
        """The pairs of one document, the forms named first foremost; within a form a draw of (seed, row) decides."""
        import numpy as np

        from adapt.text.scripts import count_words

        makers = {"title-body": self._title_body, "heading-section": self._heading_section, "sentence-rest": self._sentence_rest}
        found: list[Pair] = []
        for number, form in enumerate(self.forms):
            rng = np.random.default_rng([job.seed, document.row, number])
            some = [
                Pair(anchor, passage, document.group, form)
                for anchor, passage in makers[form](document, rng)
                if self.min_words <= count_words(anchor) <= self.max_words and count_words(passage) >= self.min_passage_words
            ]
            room = self.max_per_document - len(found)
            found += [some[i] for i in sorted(rng.permutation(len(some))[:room])]
        return found

    def _title_body(self, document: _Document, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
        body = [sentence for _, sentences in document.sections for sentence in sentences]
        if document.title and body:
            yield document.title, " ".join(next(self._passages(body)))

    def _heading_section(self, document: _Document, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
        """A heading without context ("Treatment") is ambiguous: the title is put before it."""
        for heading, sentences in document.sections:
            if heading and sentences:
                yield f"{document.title}: {heading}" if document.title else heading, " ".join(next(self._passages(sentences)))

    def _sentence_rest(self, document: _Document, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
        """One sentence of each passage; it stays in the passage with probability `keep_sentence`."""
        from adapt.text.clean import normalised
        from adapt.text.scripts import count_words

        title = normalised(document.title)
        for _, sentences in document.sections:
            for passage in self._passages(sentences):
                fit = [
                    i for i, sentence in enumerate(passage)
                    if self.min_words <= count_words(sentence) <= self.max_words and normalised(sentence) != title
                ]  # fmt: skip
                stays = rng.random() < self.keep_sentence
                if len(passage) < 2 or not fit:
                    continue
                asks = fit[int(rng.integers(len(fit)))]
                yield passage[asks], " ".join(s for i, s in enumerate(passage) if stays or i != asks)

    def _passages(self, sentences: Sequence[str]) -> Iterator[list[str]]:
        """Neighbouring sentences, as many as `max_passage_words` holds; a longer one is cut."""
        from adapt.text.scripts import count_words

        passage: list[str] = []
        room = self.max_passage_words
        for sentence in sentences:
            size = count_words(sentence)
            if passage and size > room:
                yield passage
                passage, room = [], self.max_passage_words
            passage.append(sentence if size <= self.max_passage_words else " ".join(sentence.split()[: self.max_passage_words]))
            room -= size
        if passage:
            yield passage

    def _without_repeats(self, pairs: list[Pair]) -> list[Pair]:
        """Each anchor once, and of each form no passage that nearly equals an earlier one."""
        from adapt.text.clean import normalised
        from adapt.text.near_duplicates import deduplicate

        once = list({normalised(pair.anchor): pair for pair in reversed(pairs)}.values())[::-1]
        kept: list[Pair] = []
        for form in self.forms:
            own = [pair for pair in once if pair.origin == form]
            kept += [own[i] for i in deduplicate([pair.positive for pair in own])]
        place = {id(pair): number for number, pair in enumerate(pairs)}
        return sorted(kept, key=lambda pair: place[id(pair)])


def _documents(texts: Sequence[Text], rows: Sequence[int]) -> list[_Document]:
    """Each text's title, as the data give it or found, and the sentences of its sections."""
    from adapt.text.sections import sections
    from adapt.text.sentences import sentences
    from adapt.text.titles import titled

    unnamed = [text.text for text in texts if not text.title]
    found = iter(titled(unnamed) if unnamed else ())
    parts = [(text.title, text.body) if text.title else next(found) for text in texts]
    cut = [sections(body) for _, body in parts]
    bodies = [body for found_sections in cut for _, body in found_sections]
    split: list[list[str]] = [[] for _ in bodies]
    for index, sentence in sentences(bodies):
        split[index].append(sentence)
    bodies_in_turn = iter(split)
    return [
        _Document(row, text.group or text.id, title, [(heading, next(bodies_in_turn)) for heading, _ in found_sections])
        for row, text, (title, _), found_sections in zip(rows, texts, parts, cut, strict=True)
    ]
