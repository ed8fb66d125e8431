"""Topics: texts with one each, as clustering and classification read them, and the topics of any check's items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from adapt.checks import ProtectedItem, Source, file_of
from adapt.errors import UserError
from adapt.files import read
from adapt.records import Text


def read_topics(source: Source, at_least: int) -> list[Text]:
    """Texts with a topic (or a group); topics of fewer than `at_least` texts are left out. Raises UserError below two."""
    read_in = [replace(text, topic=text.topic or text.group) for text in read(file_of(source), "texts")]
    data = [text for text in read_in if text.topic]
    sizes = Counter(text.topic for text in data)
    kept = [text for text in data if sizes[text.topic] >= at_least]
    if len({text.topic for text in kept}) < 2:
        raise UserError(
            f"{source}: needs texts of two topics or more, {at_least} texts of each, in columns text and topic (or group)"
        )
    return kept


def protected_topics(data: Iterable[Text]) -> Iterator[ProtectedItem]:
    """The texts, with their groups; where the group is the topic that a classifier predicts, training data may share it."""
    return (ProtectedItem((text.text,), "" if text.group == text.topic else text.group) for text in data)


def topics_of(items: Iterable[object]) -> Sequence[str]:
    """Each record's topic, "" where it has none; empty where none has one."""
    found = [str(getattr(item, "topic", "")) for item in items]
    return found if any(found) else ()
