import pytest

from adapt.text.near_duplicates import deduplicate, near_duplicates
from adapt.text.scripts import count_words
from adapt.text.sentences import sentences


def split(text, **limits):
    return [sentence for _, sentence in sentences([text], **limits)]


def test_seed_abbreviations_end_no_sentence():
    text = "Give 5 mg. of it, e.g. at night (see Fig. 2). Dr. Osler et al. agreed. It helps."
    assert split(text) == ["Give 5 mg. of it, e.g. at night (see Fig. 2).", "Dr. Osler et al. agreed.", "It helps."]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("患者头痛。需要治疗吗？需要！", ["患者头痛。", "需要治疗吗？", "需要！"]),
        ("医生说：“头痛。”然后走了。", ["医生说：“头痛。”", "然后走了。"]),
        ("頭が痛い。「薬を飲む。」と言った。", ["頭が痛い。", "「薬を飲む。」", "と言った。"]),
        ("真的吗？！是的。", ["真的吗？！", "是的。"]),
        ("ผู้ป่วยปวดศีรษะ ควรพบแพทย์ทันที", ["ผู้ป่วยปวดศีรษะ", "ควรพบแพทย์ทันที"]),
        ("ใช้ยา paracetamol ทุกวัน", ["ใช้ยา paracetamol ทุกวัน"]),
        ("रोगी को सिरदर्द है। दवा दें।", ["रोगी को सिरदर्द है।", "दवा दें।"]),
        ("Aspirin 治疗头痛。It helps.", ["Aspirin 治疗头痛。", "It helps."]),
    ],
)
def test_other_scripts_end_sentences_in_their_own_way(text, parts):
    assert split(text) == parts


def test_words_are_counted_by_spaces_or_by_two_characters():
    assert count_words("The heart, too - helps.") == 4
    assert count_words("患者出现严重头痛。") == 4  # eight characters
    assert count_words("服用 aspirin 治疗头痛") == 4
    assert count_words("환자는 두통이 심하다") == 3  # Korean has spaces


def test_length_limits_mean_the_same_in_every_script():
    assert split("头痛。患者出现严重的头痛症状。", min_words=3) == ["患者出现严重的头痛症状。"]
    assert split("Too short. This sentence is long enough to stay.", min_words=5) == ["This sentence is long enough to stay."]
    assert split("患者出现严重的头痛症状。", max_words=4) == []


def test_deduplicate_drops_what_comes_again_and_keeps_the_order():
    long = "the patient came to the clinic with a severe cough and a mild fever on monday morning after a long night"
    texts = ["Fever falls.", long, "fever FALLS", long.replace("monday", "tuesday"), "Rash and cough are gone.", long + " again"]
    assert deduplicate(texts) == [0, 1, 3, 4]
    assert deduplicate(texts, 0.5) == [0, 1, 4]


def test_texts_without_spaces_are_compared_by_their_characters():
    text = "患者出现严重的头痛症状需要立即到医院接受进一步的检查和治疗以避免病情恶化"
    assert [pair[:2] for pair in near_duplicates([text], [text + "。", text[:-1] + "了", "完全不同的一句话说的是天气和旅行"])] == [
        (0, 0),
        (0, 1),
    ]


def test_a_sentence_repeated_thousands_of_times_costs_no_more_than_once():
    assert deduplicate(["This page was last reviewed by the editors in charge."] * 20_000) == [0]
