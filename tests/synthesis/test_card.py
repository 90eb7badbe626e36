"""The text of the card of a dataset of pairs, for different datasets."""

from small_datasets import manifest_of

from lutkit.synthesis.card import pair_card


def test_what_jpeg_costs_is_said_of_jpeg_alone():
    told = "less than 35 dB"
    assert told in pair_card(manifest_of("x"), 3).about
    assert told not in pair_card(manifest_of("x", codec="png"), 3).about
    assert told not in pair_card(manifest_of("x", kinds=(("enhance", 1.0),)), 3).about


def test_severity_and_label_say_what_they_are_of():
    damage = pair_card(manifest_of("x"), 3)
    assert "at most 0.05 outside" in damage.about
    assert "look" not in damage.fields["json: severity"] + damage.fields["json: label"]
    both = pair_card(manifest_of("x", kinds=(("distort", 1.0), ("enhance", 1.0))), 3)
    assert "of the look" in both.fields["json: severity"]
    assert "of the look" in both.fields["json: label"]
