"""Webhooks of a Rollout: endpoints that are asked, or told, while an update goes on.

Names and body are those of Flagger's webhooks. Part of the Rollout kind (`rollouts.api.rollout`). Decides
nothing; `rollouts.delivery.webhooks` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.schema import Field


class WebhookType(StrEnum):
    """When a webhook is called, and what its answer decides (Flagger: pkg/apis/flagger/v1beta1)."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    ROLLOUT = "rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    POST_ROLLOUT = "post-rollout"
    ROLLBACK = "rollback"
    EVENT = "event"


class WebhookPhase(StrEnum):
    PENDING = "Pending"
    """To be called when the update has ended."""
    WAITING = "Waiting"
    """It has refused, and is asked again."""
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that gets a POST with name, namespace, phase, checksum and metadata. 2xx is a yes."""

    name: Annotated[str, Field("Name, unique in this list.", min_length=1)]
    url: Annotated[str, Field("Where the POST goes: http or https.", pattern="^https?://")]
    type: Annotated[WebhookType, Field("When it is called, and what its answer decides.")] = (
        WebhookType.ROLLOUT
    )
    timeout: Annotated[timedelta, Field("How long one call may take.")] = timedelta(seconds=10)
    retries: Annotated[
        int, Field("Further calls after one that failed. Gates are asked until they say yes.", minimum=0)
    ] = 0
    interval: Annotated[
        timedelta, Field("How often a rollback hook is asked, and the longest wait between two calls.")
    ] = timedelta(seconds=10)
    metadata: Annotated[Mapping[str, str], Field("Sent along as it is.")] = field(default_factory=dict)
    disable_tls: Annotated[bool, Field("Accept any certificate of the endpoint.", json="disableTLS")] = False


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """What a webhook of the current update has said."""

    name: Annotated[str, Field("Name of the webhook.")]
    type: Annotated[WebhookType, Field("Its type.")]
    phase: Annotated[WebhookPhase, Field("Pending, Waiting, Successful or Failed.")]
    step: Annotated[int | None, Field("Index of the step (from 0) that it was asked for.", shown=True)] = None
    message: Annotated[str, Field("Its answer.")] = ""
    finished_at: Annotated[datetime | None, Field("When the answer decided.")] = None
