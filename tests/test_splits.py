"""Which side of the split: by hash, so nothing changes sides as data grows."""

from hypothesis import given
from hypothesis import strategies as st

from curation.exporting.splits import is_held_out, is_person_held_out


@given(st.text(), st.text())
def test_a_group_stays_held_out_when_the_share_grows(group, salt):
    assert not is_held_out(group, salt, 0)
    if is_held_out(group, salt, 0.2):
        assert is_held_out(group, salt, 0.5)


def test_about_the_asked_share_of_groups_and_of_people_is_held_out():
    assert 1_900 < sum(is_held_out(str(number), "salt", 0.2) for number in range(10_000)) < 2_100
    assert 1_900 < sum(is_person_held_out(str(number), "salt", 0.2) for number in range(10_000)) < 2_100
