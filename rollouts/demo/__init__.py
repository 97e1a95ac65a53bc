"""The main job as a story, played against real parts on the sandbox: `make demo`.

`play` is the only entry. Nothing here is used by the controller.
"""

from rollouts.demo.play import play

__all__ = ["play"]
