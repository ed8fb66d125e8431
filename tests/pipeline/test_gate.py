"""The gate's rule, on constructed measurements."""

import pytest

from adapt.checks import Measurement
from adapt.pipeline.comparison import difference, value
from adapt.pipeline.gate import choose, judge
from adapt.recipe import GateSpec
from adapt.results import GateTrial


def measured(home, away=0.6, spread=0.0, topics=()):
    """Two checks of 40 items each, all of the same value; `spread` moves every second item up and every other down."""
    items = [home + spread * (-1) ** i for i in range(40)]
    return {
        "home": Measurement({"ndcg@10": sum(items) / 40}, {"ndcg@10": items}, 40, topics=topics),
        "away": Measurement({"ndcg@10": away}, {"ndcg@10": [away] * 40}, 40),
    }


BASE = measured(0.5)


def test_a_guard_within_its_budget_passes_and_one_beyond_it_is_forgetting():
    spec = GateSpec(target="home.ndcg@10", guard={"away.ndcg@10": -0.02})
    fine, forgot = (judge(spec, BASE, BASE, measured(0.6, away)) for away in (0.59, 0.57))
    assert (fine.outcome, fine.passes) == ("better", True)
    assert fine.net_gain == pytest.approx(0.1 - 0.01)
    assert (forgot.outcome, forgot.passes) == ("forgetting", False) and "fell by 3.0 points" in forgot.explanation


def test_guards_are_held_against_the_base_and_the_target_against_the_model_before():
    spec = GateSpec(target="home.ndcg@10", guard={"away.ndcg@10": -0.02})
    verdict = judge(spec, BASE, measured(0.7, 0.59), measured(0.65, 0.585))
    assert verdict.outcome == "worse" and verdict.gain == pytest.approx(-0.05) and verdict.guard_loss == pytest.approx(0.015)


def test_a_transfer_check_counts_by_its_weight():
    spec = GateSpec(target="home.ndcg@10", transfer={"away.ndcg@10": 0.5})
    assert judge(spec, BASE, BASE, measured(0.6, 0.56)).net_gain == pytest.approx(0.1 - 0.5 * 0.04)


BLEND = GateSpec(target="home.ndcg@10")


def of(worths, passing=lambda share: True, word="better"):
    """A judge by a table {share: (gained, lost)}."""

    def trial(alpha):
        gain, guard_loss = worths.get(alpha, (0.0, 0.0))
        return GateTrial(alpha=alpha, outcome=word, explanation="", passes=passing(alpha), gain=gain, guard_loss=guard_loss)

    return trial


def test_a_step_that_costs_next_to_nothing_is_kept_without_trying_blends():
    share, tried = choose(BLEND, of({1.0: (0.1, 0.01)}))
    assert share == 1.0 and [trial.alpha for trial in tried] == [1.0]


def test_the_blend_worth_most_on_target_and_guards_together_is_kept():
    # The shape that was seen on MedQuAD: half of the change keeps most of the gain and little of the loss.
    curve = {1.0: (0.104, 0.031), 0.75: (0.095, 0.014), 0.5: (0.075, 0.005), 0.25: (0.04, 0.0)}
    assert choose(BLEND, of(curve))[0] == 0.75
    assert choose(BLEND, of(curve, lambda share: share <= 0.5))[0] == 0.5
    assert choose(BLEND, of(dict.fromkeys(curve, (-0.01, 0.0))))[0] == 0.0
    assert choose(GateSpec(target="home.ndcg@10", grid=(1.0, 0.5)), of(curve))[0] == 1.0


def test_a_step_within_chance_is_kept_or_set_back_without_trying_blends():
    for gained, lost, share in ((0.004, 0.001, 1.0), (0.001, 0.004, 0.0), (-0.002, 0.0, 0.0), (0.0, 0.0, 1.0)):
        chosen, tried = choose(BLEND, of({1.0: (gained, lost)}, word="same"))
        assert chosen == share and [trial.alpha for trial in tried] == [1.0]


def test_of_equal_blends_the_largest_is_kept():
    assert choose(BLEND, of(dict.fromkeys((1.0, 0.75, 0.5, 0.25), (0.01, 0.01))))[0] == 1.0


@pytest.mark.parametrize(("action", "share"), [("keep", 1.0), ("revert", 0.0), ("stop", 0.0)])
def test_what_happens_to_a_step_that_fails(action, share):
    chosen, tried = choose(GateSpec(action=action), of({1.0: (0.1, 0.2)}, lambda share: share == 0))
    assert chosen == share and [trial.alpha for trial in tried] == [1.0]


def test_a_cohort_is_a_metric_of_its_own():
    topics = ["heart [left]"] * 10 + ["skin"] * 30
    before, after = measured(0.5, topics=topics), measured(0.5, spread=0.1, topics=topics)
    after["home"].items["ndcg@10"][:10] = [0.3] * 10
    assert value(after, "home.ndcg@10[heart [left]]") == pytest.approx(0.3)
    delta = difference(before, after, "home.ndcg@10[heart [left]]")
    assert delta.value == pytest.approx(-0.2) and delta.outcome() == "worse"
    spec = GateSpec(target="home.ndcg@10", guard={"home.ndcg@10[heart [left]]": -0.1})
    assert "home.ndcg@10[heart [left]] fell by 20.0 points" in judge(spec, before, before, after).explanation
