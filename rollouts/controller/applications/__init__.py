"""The Git half in the process: Applications, their repositories, their live objects, their controller."""

from rollouts.controller.applications.wiring import part

__all__ = ["part"]
