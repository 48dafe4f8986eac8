"""The examples that the page opens with."""

from pathlib import Path

import pytest

from editworld_core.categories import Category
from editworld_core.images import check_instruction, read_image
from ui.examples import Example, load_examples

EXAMPLES = load_examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.image.name)
def test_every_example_can_be_edited(example: Example) -> None:
    assert min(read_image(example.image).size) >= 256
    assert check_instruction(example.instruction) == example.instruction


@pytest.mark.parametrize("category", Category)
def test_every_category_has_at_least_two(category: Category) -> None:
    assert sum(example.category == category for example in EXAMPLES) >= 2


def test_no_example_is_of_a_category_that_is_not_there() -> None:
    assert {example.category for example in EXAMPLES} <= {category.value for category in Category}


def test_no_list_means_no_examples(tmp_path: Path) -> None:
    assert load_examples(tmp_path) == ()
