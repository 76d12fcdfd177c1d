"""Grid2Op 1.12.6 on the 14-bus grid that its package ships, doing nothing, 300 s a step, an AC power flow each.

Argument: lightsim2grid, its fast engine (the one its page recommends for speed), or pandapower, its default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import grid2op
from blocks import Blocks


def backend(name: str) -> Callable[[], object]:
    if name == "lightsim2grid":
        from lightsim2grid import LightSimBackend

        return LightSimBackend
    from grid2op.Backend import PandaPowerBackend

    return PandaPowerBackend


def main() -> None:
    env = grid2op.make("l2rpn_case14_sandbox", test=True, backend=backend(sys.argv[1])())
    nothing, blocks = env.action_space({}), Blocks()
    while True:
        env.reset()
        blocks.begin()
        over = False
        while not over:
            over = env.step(nothing)[2]
            blocks.done()
        blocks.end()


if __name__ == "__main__":
    main()
