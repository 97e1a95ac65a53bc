"""What a spec must be beyond its schema, and what it names must be there.

Decides whether a Rollout can be served at all; the first fault is told, with field, value and remedy. Called
by `plan` before anything else; while there is a fault nothing is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis.errors import AnalysisError
from rollouts.api.analysis import AnalysisTemplateRef
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.parse import format_duration, model_fields
from rollouts.api.schema import IntOrString
from rollouts.api.strategy import AntiAffinity, CanaryStep, PodTemplateMetadata
from rollouts.delivery import (
    declared,
    experiment_step,
    rolling,
    runs,
    selectors,
    templates,
    validate_routing,
    webhooks,
)
from rollouts.delivery.view import View
from rollouts.errors import SpecError

_RIVALS = frozenset({"setWeight", "pause", "analysis", "experiment"})
"""Each of them decides when its step is over, so a step has one; the others say how it is gone through."""


def fault(seen: View) -> SpecError | None:
    """The first fault, in the order in which a reader of the spec would meet it."""
    checks: tuple[Callable[[View], Iterator[SpecError]], ...] = (
        _strategy,
        _selector,
        _deadline,
        _pod_metadata,
        _canary,
        _blue_green,
        _bake,
        declared.faults,
        _webhooks,
        _services,
    )
    for check in checks:
        for error in check(seen):
            return error
    return None if _is_given_up(seen) else _analyses(seen)


def _is_given_up(seen: View) -> bool:
    """Aborted, or about to be: no analysis will be started, so no template may hold it up."""
    return seen.old.abort and seen.old.current_pod_hash == seen.hash


def _strategy(seen: View) -> Iterator[SpecError]:
    chosen = rolling.chosen(seen.spec.strategy)
    if len(chosen) != 1:
        given = f"{' and '.join(chosen)} are set" if chosen else "none is set"
        remedy = "set exactly one of canary, blueGreen, rollingUpdate and recreate"
        yield SpecError("spec.strategy", None, given, remedy)


def _selector(seen: View) -> Iterator[SpecError]:
    yield from selectors.faults(seen.spec.selector, seen.spec.template, "spec")


def _deadline(seen: View) -> Iterator[SpecError]:
    seconds = seen.spec.progress_deadline_seconds
    if seconds <= seen.spec.min_ready_seconds:
        yield SpecError(
            "spec.progressDeadlineSeconds", seconds, "must be greater than minReadySeconds", "make it longer"
        )


def _pod_metadata(seen: View) -> Iterator[SpecError]:
    """Labels by role must leave those alone that ReplicaSets and Services find their pods by."""
    held = {**seen.spec.selector.match_labels, POD_TEMPLATE_HASH_LABEL: None}
    for path, metadata in _roles(seen):
        for key, value in (metadata.labels if metadata else {}).items():
            if key in held and held[key] != value:
                yield SpecError(
                    f"{path}.labels.{key}", value, "the pods are selected by it", "use another label"
                )


def _roles(seen: View) -> Iterator[tuple[str, PodTemplateMetadata | None]]:
    at = "spec.strategy"
    if seen.canary is not None:
        yield f"{at}.canary.canaryMetadata", seen.canary.canary_metadata
        yield f"{at}.canary.stableMetadata", seen.canary.stable_metadata
    if seen.blue_green is not None:
        yield f"{at}.blueGreen.previewMetadata", seen.blue_green.preview_metadata
        yield f"{at}.blueGreen.activeMetadata", seen.blue_green.active_metadata


def _canary(seen: View) -> Iterator[SpecError]:
    if seen.canary is None:
        return
    at = rolling.path(seen.spec.strategy)
    if not (_amount(seen.canary.max_surge) or _amount(seen.canary.max_unavailable)):
        yield SpecError(
            f"{at}.maxSurge", seen.canary.max_surge, "maxUnavailable is zero too", "allow one of them to be 1"
        )
    if seen.canary.canary_service and seen.canary.canary_service == seen.canary.stable_service:
        yield SpecError(
            f"{at}.stableService", seen.canary.stable_service, "is the canaryService too", "use two Services"
        )
    yield from _anti_affinity(seen.canary.anti_affinity, f"{at}.antiAffinity")
    for index, step in enumerate(seen.canary.steps):
        yield from _step(step, f"{at}.steps[{index}]", seen.max_weight)
    yield from experiment_step.faults(seen)
    yield from validate_routing.faults(seen, seen.canary, at)


def _amount(value: IntOrString) -> int:
    return int(value.removesuffix("%")) if isinstance(value, str) else value


def _anti_affinity(wanted: AntiAffinity | None, path: str) -> Iterator[SpecError]:
    if wanted is None:
        return
    names = [field.json for field in model_fields(AntiAffinity)]
    given = [field.json for field in model_fields(AntiAffinity) if getattr(wanted, field.name) is not None]
    if len(given) != 1:
        value = " and ".join(given) or None
        yield SpecError(path, value, f"must have exactly one of {' and '.join(names)}")


def _step(step: CanaryStep, path: str, most: int) -> Iterator[SpecError]:
    given = [field.json for field in model_fields(CanaryStep) if getattr(step, field.name) is not None]
    if not given:
        known = ", ".join(field.json for field in model_fields(CanaryStep))
        yield SpecError(path, None, f"must have one of {known}")
    rivals = [name for name in given if name in _RIVALS]
    if len(rivals) > 1:
        yield SpecError(path, None, f"must not have {' and '.join(rivals)}", "make them steps of their own")
    if step.set_weight is not None and not 0 <= step.set_weight <= most:
        yield SpecError(f"{path}.setWeight", step.set_weight, f"must be between 0 and {most}")
    if step.pause and step.pause.duration and step.pause.duration.total_seconds() < 0:
        yield SpecError(f"{path}.pause.duration", str(step.pause.duration), "must not be negative")
    if step.pause and step.pause.timeout is not None and step.pause.duration is not None:
        timeout = format_duration(step.pause.timeout)
        yield SpecError(f"{path}.pause.timeout", timeout, "the pause has a duration", "remove one of them")


def _blue_green(seen: View) -> Iterator[SpecError]:
    if seen.blue_green is None:
        return
    at = "spec.strategy.blueGreen"
    yield from _anti_affinity(seen.blue_green.anti_affinity, f"{at}.antiAffinity")
    if not seen.blue_green.active_service:
        yield SpecError(f"{at}.activeService", None, "is required")
    if seen.blue_green.active_service == seen.blue_green.preview_service:
        yield SpecError(
            f"{at}.previewService",
            seen.blue_green.preview_service,
            "is the activeService too",
            "use two Services",
        )
    timeout = seen.blue_green.promotion_timeout
    if timeout is not None and seen.blue_green.auto_promotion_enabled:
        yield SpecError(
            f"{at}.promotionTimeout",
            format_duration(timeout),
            "nobody is waited for",
            "set autoPromotionEnabled: false, or remove it",
        )
    if seen.blue_green.auto_promotion_seconds < 0:
        yield SpecError(
            f"{at}.autoPromotionSeconds", seen.blue_green.auto_promotion_seconds, "must not be negative"
        )
    limit = seen.blue_green.scale_down_delay_revision_limit
    if limit is not None and limit > seen.spec.revision_history_limit:
        yield SpecError(
            f"{at}.scaleDownDelayRevisionLimit",
            limit,
            f"is more than the {seen.spec.revision_history_limit} revisions of revisionHistoryLimit",
        )


def _webhooks(seen: View) -> Iterator[SpecError]:
    at = f"spec.strategy.{'canary' if seen.canary else 'blueGreen'}.webhooks"
    names: set[str] = set()
    for index, webhook in enumerate(webhooks.of(seen)):
        path = f"{at}[{index}]"
        if webhook.name in names:
            yield SpecError(f"{path}.name", webhook.name, "is there twice", "give each webhook its own name")
        names.add(webhook.name)
        for field, value in (("timeout", webhook.timeout), ("interval", webhook.interval)):
            if not value:
                yield SpecError(f"{path}.{field}", "0s", "must be longer than nothing", 'write "10s"')


def _services(seen: View) -> Iterator[SpecError]:
    for path, name in _named_services(seen):
        service = seen.service(name)
        if service is None:
            yield SpecError(path, name, "Service not found", "create the Service or correct the name")
            continue
        rival = seen.snapshot.rivals.get(name)
        # Whoever manages the Service already goes on; a newcomer must not stop it.
        if rival and service.managed_by != seen.name:
            yield SpecError(path, name, f"Rollout {rival} uses this Service too", "use another Service")
        labels = selectors.labels_of(seen.spec.template)
        for key, value in service.selector.items():
            if key != POD_TEMPLATE_HASH_LABEL and labels.get(key) != value:
                yield SpecError(
                    path,
                    name,
                    f"the Service selects {key}={value}, which the template's labels do not match",
                    f"correct the Service's selector or spec.template.metadata.labels.{key}",
                )


def _named_services(seen: View) -> Iterator[tuple[str, str]]:
    named: list[tuple[str, str]] = []
    if seen.canary is not None:
        named.append(("spec.strategy.canary.canaryService", seen.canary.canary_service))
        named.append(("spec.strategy.canary.stableService", seen.canary.stable_service))
    if seen.routing is not None and seen.routing.services is not None:
        root = seen.routing.services.root_service
        named.append(("spec.strategy.canary.trafficRouting.services.rootService", root))
    if seen.blue_green is not None:
        named.append(("spec.strategy.blueGreen.activeService", seen.blue_green.active_service))
        named.append(("spec.strategy.blueGreen.previewService", seen.blue_green.preview_service))
    return ((path, name) for path, name in named if name)


def _ends_with_others(seen: View, slot: runs.Slot) -> bool:
    """An analysis that is ended: with the steps, or with the duration of the bake."""
    bakes = seen.spec.bake is not None and seen.spec.bake.duration is not None
    return slot.type is runs.RunType.BACKGROUND or (slot.type is runs.RunType.BAKE and bakes)


def _bake(seen: View) -> Iterator[SpecError]:
    bake = seen.spec.bake
    if bake is not None and bake.duration is None and bake.analysis is None:
        yield SpecError("spec.bake", None, "is empty", "give it a duration, an analysis or both")


def _analyses(seen: View) -> SpecError | None:
    for slot in runs.slots(seen):
        try:
            spec = templates.compose(seen.snapshot, slot.analysis, slot.path, templates.ANY_HASHES)
            metrics = templates.measurable(spec)
        except SpecError as error:
            return error
        except AnalysisError as error:
            return _in_templates(slot, str(error), "correct the template or the arguments")
        endless = next((m.name for m in metrics if m.effective_count is None), None)
        if endless and not _ends_with_others(seen, slot):
            problem = f'metric "{endless}" has an interval and no count and would never end'
            return _in_templates(slot, problem, "give it a count, or use it as background analysis")
    try:
        experiment_step.check(seen)
    except SpecError as error:
        return error
    return None


def _in_templates(slot: runs.Slot, problem: str, remedy: str) -> SpecError:
    names = _name(slot.analysis.templates)
    return SpecError(f"{slot.path}.templates[0].templateName", names, problem, remedy)


def _name(refs: tuple[AnalysisTemplateRef, ...]) -> str:
    return ", ".join(ref.template_name for ref in refs)
