"""Hostile texts in both pages, and the numbers of a run on them."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from adapt.errors import UserError
from adapt.report import write_report
from adapt.results import Verdict
from tests.report.conftest import run_result

HOSTILE = (
    "</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onload='alert(1)", "{{ 7 * 7 }} {% if x %}",
    "&amp; & &lt;b&gt;", "\u202eright to left\u202c\u200f", "nul\x00 and \x1b[31m bell\x07", "x" * 100_000,
    "a|b `code` **bold** [link](http://evil.example)", "![picture](https://evil.example/x.png)", "<!-- comment", "]]> <![CDATA[",
    "</style></title></svg></td></table>", "\ud800 lone \udfff", "# heading\n- list\n\n<details>",
    "www.evil.example https://evil.example @someone", "\\| \\`", "</bdi></details></summary>", "<b", "$x$ ~~y~~",
)  # fmt: skip


def hostile(n):
    return HOSTILE[n % len(HOSTILE)]


class Outline(HTMLParser):
    """Every element with the names of its attributes and its class, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words, self.values = Counter(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found[tag, tuple(name for name, _ in attrs), dict(attrs).get("class")] += 1
        self.values += attrs

    def handle_endtag(self, tag):
        self.found["/" + tag] += 1

    def handle_comment(self, data):
        self.found["comment"] += 1

    def handle_data(self, data):
        self.words.append(data)


def page(run):
    return write_report(run).read_text(encoding="utf-8")


def said(run):
    """The words of a page, one space between any two."""
    return " ".join(" ".join(Outline(page(run)).words).split())


def test_hostile_texts_add_no_element_and_no_attribute(make_run):
    clean, attacked = (Outline(page(make_run(say, name=name))) for say, name in ((str, "clean"), (hostile, "hostile")))
    assert attacked.found == clean.found
    assert sum(clean.found.values()) > 500  # every section is there
    assert not any(
        tag == "script" or any(name.startswith("on") for name in names) for tag, names, _ in (k for k in clean.found if len(k) == 3)
    )


def test_each_hostile_text_alone_changes_no_element_either(make_run):
    clean = Outline(page(make_run(str, name="clean"))).found
    for number, text in enumerate(HOSTILE):
        assert Outline(page(make_run(lambda n, text=text: text, name=f"run-{number}"))).found == clean, text[:40]


def test_a_page_loads_nothing_and_shows_hostile_texts_literally(make_run):
    text = page(make_run(hostile))
    outline = Outline(text)
    assert "<script" not in text.lower() and "default-src 'none'" in text
    for name, value in outline.values:
        assert name not in ("src", "srcset", "data", "action", "style", "background"), name
        assert name != "href" or value.startswith("#")
    assert "url(" not in text and "@import" not in text
    words = "".join(outline.words)
    assert "</script><script>alert(1)</script>" in words and "{{ 7 * 7 }}" in words
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert "x" * 601 not in words  # long texts are cut


def test_markdown_renders_hostile_texts_to_the_elements_of_clean_ones(make_run):
    from markdown_it import MarkdownIt

    pages = {}
    for name, say in (("clean", str), ("hostile", hostile)):
        run = make_run(say, name=name)
        write_report(run)
        pages[name] = (run / "report.md").read_text(encoding="utf-8")
    drawn = {
        name: Outline(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(t))
        for name, t in pages.items()
    }
    assert drawn["hostile"].found == drawn["clean"].found
    assert {tag for tag, *_ in drawn["clean"].found if len(tag) > 1} <= {
        "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "code", "blockquote", "strong", "/",
    }  # fmt: skip
    text = pages["hostile"]
    assert not re.search(r"(?<!\w)@someone|(?<!\\)://|(?i:\bwww\.)", text)  # no mention, and no link made of a bare address
    assert "</script><script>alert(1)</script>" in "".join(drawn["hostile"].words)


def test_the_verdict_comes_first_with_its_figures(make_run):
    run = make_run()
    words = said(run)
    start = words.index("better text number 7")
    for part in (
        "+8.5",
        "+6.2 to +10.9",
        "< 0.001",
        "seeds 13, 14",
        "leaking rows removed 5",
        "minimum detectable effect (80 % power) 3.1 points",
        "guard sts.spearman −2.0 (−3.0 to −1.0)",
        "text number 13",
    ):
        assert start < words.index(part) < words.index("Test data: base and final model"), part
    markdown = (run / "report.md").read_text()
    assert markdown.startswith("## text number 2: better\n\ntext number 7\n")
    assert "| retrieval.ndcg@10 | target | 0.5000 | 0.5850 | +8.5 | +6.2 to +10.9 | &lt; 0.001 | better |" in markdown
    assert "| sts.spearman | guard | 0.7000 | 0.6800 | −2.0 | −3.0 to −1.0 | 0.010 | worse |" in markdown


def test_every_part_of_a_run_is_on_the_page(make_run):
    words = said(make_run())
    for part in (
        "Holm p < 0.001", "Change with each of 2 seeds", "Topics", "6 of 12 items are better, 6 worse",
        "gained: 0.10 → 0.90", "lost: 0.10 → 0.90",
        "relevant passage at rank 7", "below rank 1,000", "Overlap of positives and negatives: 0.5", "Hardest negatives",
        "Cross-encoder score ≥ 0.5, candidates scored: 40 %", "Suspected positives", "2 in total",
        "agreement, spearman 0.7", "units 77",
        "finetune: loss over 3 steps", "20 read", "1,024 MB", "6:12",
        "effective rank 80 95.5", "Deferred decisions", "texts per second 90.5", "synthetic",
        "silver finetune same 0.400 text number 14 left out",
        "better ; blended (α = 0.5)", "α = 1: forgetting, text number 1", "exact near duplicate action data-texts 2 3 removed",
        "threads 2", "torch: '2.13'",
    ):  # fmt: skip
        assert part in words, part
    assert words.count("lost: 0.10 → 0.90") == 3


def test_sections_without_data_are_left_out(tmp_path):
    full = run_result()
    bare = full.model_copy(
        update={
            "verdict": Verdict(outcome="unmeasured", sentence="No target was measured on test data."), "dev": full.dev[:1],
            **dict.fromkeys(("test", "topics", "seeds", "gates", "deferred", "sweep", "steps"), ()),
            "speed": None, "health": {}, "environment": {}, "warnings": (), "minimum_detectable_effect": {},
        }
    )  # fmt: skip
    (tmp_path / "bare").mkdir()
    bare.save(tmp_path / "bare")
    words = said(tmp_path / "bare")
    assert "unmeasured No target was measured on test data." in words and "seed 13" in words
    for part in (
        "Topics", "Items", "Hard negatives", "Silver", "Training", "Embedding space", "Sweep", "Test data", "seeds", "Speed",
    ):  # fmt: skip
        assert part not in words, part
    assert (tmp_path / "bare" / "report.md").read_text().startswith("## text number 2: unmeasured")


def test_two_thousand_queries_stay_far_below_the_limit(make_run):
    text = page(make_run(lambda n: "word " * 100, items=2_000))
    assert len(text.encode()) < 300_000


def test_a_folder_without_results_and_a_damaged_file_are_named(make_run, tmp_path):
    with pytest.raises(UserError, match=r"holds no results\.json"):
        write_report(tmp_path)
    run = make_run()
    file = run / "per_example.json"
    whole = file.read_text()
    for text, problem in (("{", "is damaged"), (whole.replace("ndcg@10", "ndcg@11"), "has changed"), ("[]", "is damaged")):
        file.write_text(text)
        with pytest.raises(UserError, match=rf"per_example\.json: {problem}"):
            write_report(run)
    file.write_text(whole)
    (run / f"finetune-{16 * 'd'}" / "training.json").write_text("{}")
    with pytest.raises(UserError, match=r"training\.json: is damaged \(Field required\)"):
        write_report(run)


def test_files_of_other_stages_with_the_names_of_ours_are_not_read(make_run):
    run = make_run()
    for name in ("analysis.json", "summary.json"):
        (run / f"finetune-{16 * 'd'}" / name).write_text('{"own": 1}')
    assert "Hard negatives" in page(run)


def test_the_same_run_gives_the_same_bytes(make_run):
    run = make_run()
    first = [write_report(run).read_bytes(), (run / "report.md").read_bytes()]
    assert first == [write_report(run).read_bytes(), (run / "report.md").read_bytes()]
