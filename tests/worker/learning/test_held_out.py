import torch

from worker.learning.datasets import split_held_out


def test_a_twentieth_is_held_out_and_the_rest_learned() -> None:
    learned, held_out = split_held_out(1437)

    assert len(held_out) == 72
    assert torch.equal(torch.cat((learned, held_out)).sort().values, torch.arange(1437))


def test_the_choice_is_always_the_same_and_draws_nothing_from_the_generator_of_torch() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()

    first, second = split_held_out(300), split_held_out(300)

    assert torch.equal(first[1], second[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_held_out_crops_come_from_all_over_the_set() -> None:
    _, held_out = split_held_out(60_000)

    assert 28_000 < held_out.float().mean() < 32_000
