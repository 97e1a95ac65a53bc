"""The inventory is read back as it was written, in Flux's form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rollouts.api.application_status import Inventory, InventoryEntry
from rollouts.gitops.resources import inventory
from rollouts.gitops.resources.manifests import ObjectKey

_NAMES = st.from_regex(r"\A[a-z0-9]([-a-z0-9.:]*[a-z0-9])?\Z")
_KEYS = st.builds(
    ObjectKey,
    st.sampled_from(["", "apps", "rbac.authorization.k8s.io"]),
    st.sampled_from(["ConfigMap", "ClusterRole"]),
    st.sampled_from(["", "prod"]),
    _NAMES,
)


@given(st.dictionaries(_KEYS, st.sampled_from(["v1", "v1alpha1"])))
def test_every_key_is_read_back(versions: dict[ObjectKey, str]) -> None:
    assert inventory.parse(inventory.dump(versions)) == versions


def test_the_form_is_that_of_flux() -> None:
    key = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "system:shop")

    assert inventory.dump({key: "v1"}).entries == (
        InventoryEntry("_system__shop_rbac.authorization.k8s.io_ClusterRole", "v1"),
    )


def test_entries_that_are_not_ours_to_read_are_skipped() -> None:
    assert inventory.parse(Inventory((InventoryEntry("nonsense", "v1"),))) == {}
