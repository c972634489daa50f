"""Everything that the numbers of a plan rest on, in sentences."""

import math

from hxserve_planner.question import Question
from hxserve_planner.simulation import Simulated


def assumptions(question: Question, simulated: Simulated) -> list[str]:
    """List everything that the numbers rest on, a sentence each."""
    costs = simulated.costs
    times = (costs.call_s, costs.crop_s, costs.look_s, costs.store_s, max(s.step_s for s in costs.training))
    call, crop, look, store, step = (f"{1000 * seconds:.3g} ms" for seconds in times)
    training = f"a training ({question.recipe}, {question.dataset}) takes {costs.training_s:.3g} s of a chip"
    models = "models stay with the chip they learnt on" if question.bound_to_chips else "any chip reads any"
    said = [
        f"a chip call takes {call} and {crop} per crop ({costs.said['crops']})",
        f"the worker looks for {look} before each unit ({costs.said['look']})",
        f"claiming and storing a batch take {store} ({costs.said['store']})",
        f"{training}, in mini-batches of {step} ({costs.said['trainings']})",
        f"each user reads with a model of their own; {models}",
        "requests, letters and trainings come at random (Poisson), as often as the hour's profile says",
        "the API and Redis keep up; the canary is simulated, nightly calibrations are not; nothing fails",
    ]
    if question.letters_per_hour:
        centres = math.ceil(question.letters_per_hour / question.letters_per_centre - 1e-9)
        said.append(
            f"{centres} letter centre(s), each with {question.connections_per_centre} connections and room for "
            f"{question.buffer_per_centre} letters; {question.crops_per_letter} crops per letter, "
            f"{question.crops_per_second_look} more for {question.second_looks:.0%} of them; no quotas"
        )
    if question.programs:
        operations = ", ".join(f"{1000 * seconds:.3g}" for seconds in costs.operations_s)
        said.append(
            f"the operations of a program take {operations} ms of a chip in turn ({costs.said['operations']}); between "
            f"two it computes {question.program_home_ms:g} ms at home on average (exponential), the way there and back "
            "included"
        )
        said.append(
            f"{question.programs:,} program(s) in the loop in the users' busiest hour, in other hours as the users' "
            "profile says; each of another user, as far as there are so many, and on the chips in turn"
        )
    if simulated.detailed_s < 0.999 * question.hours * 3600:
        said.append(
            f"crops and operations were simulated in {simulated.detailed_s:,.0f} s of the time, in a window per hour; "
            "trainings in all"
        )
    return said
