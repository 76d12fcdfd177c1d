"""CityLearn 3.0.2 on its data set of the challenge of 2022: 17 buildings with sun and battery, 1 h a step.

Steered by one agent, which is faster than one for each building, with random actions drawn before the clock starts;
none of its checks and exports is switched on. It downloads the data set itself, once. Without a way to its repository,
put a copy of the repository's `data/datasets` anywhere and name it in `CITYLEARN_LOCAL_DATASETS_PATH`.
"""

from __future__ import annotations

from itertools import cycle

from blocks import Blocks
from citylearn.citylearn import CityLearnEnv

DATA_SET = "citylearn_challenge_2022_phase_all"


def main() -> None:
    env, blocks = CityLearnEnv(DATA_SET, central_agent=True), Blocks()
    actions = cycle([[env.action_space[0].sample()] for _ in range(1000)])
    while True:
        env.reset()
        blocks.begin()
        over = False
        while not over:
            over = any(env.step(next(actions))[2:4])
            blocks.done()
        blocks.end()


if __name__ == "__main__":
    main()
