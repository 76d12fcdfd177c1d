"""python-microgrid 1.4 on its benchmark microgrid 0 (load, sun, battery, grid), 1 h a step. Argument: env or rules.

`env` is the loop of its reinforcement learning environment with random actions, drawn before the clock starts; of its
two environments the continuous one, which is faster.
`rules` is the loop of its `RuleBasedControl.run`, step by step: best action by marginal cost, then the step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from blocks import Blocks
from pymgrid import Microgrid
from pymgrid.algos import RuleBasedControl
from pymgrid.envs import ContinuousMicrogridEnv

BENCHMARK = 0


def environment() -> tuple[Callable[[], object], Callable[[], bool]]:
    env = ContinuousMicrogridEnv.from_scenario(microgrid_number=BENCHMARK)
    actions, index = [env.action_space.sample() for _ in range(1000)], 0

    def step() -> bool:
        nonlocal index
        index = (index + 1) % len(actions)
        return bool(env.step(actions[index])[2])

    return env.reset, step


def rules() -> tuple[Callable[[], object], Callable[[], bool]]:
    microgrid = Microgrid.from_scenario(microgrid_number=BENCHMARK)
    control = RuleBasedControl(microgrid)
    return microgrid.reset, lambda: bool(microgrid.run(control.get_action(), normalized=False)[2])


def main() -> None:
    reset, step = {"env": environment, "rules": rules}[sys.argv[1]]()
    blocks = Blocks()
    while True:
        reset()
        blocks.begin()
        over = False
        while not over:
            over = step()
            blocks.done()
        blocks.end()


if __name__ == "__main__":
    main()
