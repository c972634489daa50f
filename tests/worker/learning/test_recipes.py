import pytest

from worker.learning.errors import RecipeInvalidError
from worker.learning.recipes import resolve


def test_the_notebook_recipe_is_the_teaching_notebooks() -> None:
    recipe = resolve("notebook")

    assert recipe.augmentation == "crop"
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (4, 200, 0.25)
    assert (recipe.logit_scale, recipe.loss_divisor) == (1.0, 64.0)
    assert not recipe.hold_out
    assert [recipe.schedule_at(step, 1200) for step in (0, 600, 1199)] == [1.0, 1.0, 1.0]


def test_an_unknown_recipe_is_refused_with_the_known_names() -> None:
    with pytest.raises(
        RecipeInvalidError, match="no recipe 'weak'; choose one of adapt, conv, notebook, strong"
    ):
        resolve("weak")


def test_overrides_replace_values_and_leave_the_others() -> None:
    recipe = resolve("strong", {"epochs": 3, "seed": 7})

    assert (recipe.epochs, recipe.seed) == (3, 7)
    assert recipe.batch_size == resolve("strong").batch_size


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 1001),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("seed", -1),
        ("seed", 2**53),
        ("warm_up", 1),
        ("rotation_deg", 46),
        ("augmentation", "flip"),
        ("momentum", 0.9),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(RecipeInvalidError, match=f"the recipe 'strong' cannot be used: {field}: "):
        resolve("strong", {field: value})


def test_the_name_of_a_recipe_cannot_be_replaced() -> None:
    with pytest.raises(RecipeInvalidError, match="cannot be replaced"):
        resolve("strong", {"name": "notebook"})


def test_another_augmentation_switches_the_extents_of_distortion_off() -> None:
    recipe = resolve("strong", {"augmentation": "none"})

    assert (recipe.rotation_deg, recipe.scale, recipe.shear_deg, recipe.shift_px) == (0, 0, 0, 0)


def test_an_extent_of_distortion_without_distortion_is_refused() -> None:
    with pytest.raises(RecipeInvalidError, match='shift_px is for the augmentation "distort"'):
        resolve("notebook", {"shift_px": 2})


def test_one_cycle_rises_from_a_fifth_to_the_peak_and_falls_to_zero() -> None:
    recipe = resolve("strong", {"warm_up": 0.3})

    rates = [recipe.schedule_at(step, 1000) for step in range(1001)]

    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[300] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)
    assert rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)
