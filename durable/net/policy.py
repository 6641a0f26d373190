"""Where requests may go: what is public, less what `egress_deny` names, plus what `egress_allow` names."""

from __future__ import annotations

from collections.abc import Sequence

from durable.egress import Address, EgressRule
from durable.net.errors import EgressRefused
from durable.net.special import special_network

# Nobody outside answers to these names, so there is no use in asking a proxy for them.
_LOCAL_NAMES = (EgressRule.parse("localhost"), EgressRule.parse("*.localhost"))


class EgressPolicy:
    """Decides by name, address and port. The first of these that fits decides:

    1. an entry of `deny` that names something, 2. an entry of `allow`, 3. `*` in `deny`, 4. special networks are
    refused, where `private` lets private ones pass, 5. everything else is allowed.
    """

    def __init__(
        self, allow: Sequence[EgressRule] = (), deny: Sequence[EgressRule] = (), *, private: bool = False
    ) -> None:
        self._allow = allow
        self._deny = [rule for rule in deny if not rule.is_everything]
        self._deny_the_rest = [rule for rule in deny if rule.is_everything]
        self._private = private

    def check(self, host: str, addresses: Sequence[Address], port: int) -> None:
        """Raise EgressRefused, with the rule, unless every address of this host may be connected to."""
        for address in addresses:
            reason = self._refusal(host, address, port)
            if reason is not None:
                raise _refused(host, port, reason)

    def check_name(self, host: str, port: int) -> None:
        """Raise EgressRefused unless this name may be handed to a proxy, which alone learns its addresses."""
        reason = self._named_refusal(host, None, port)
        if reason is None and not self._is_allowed(host, None, port):
            local = any(rule.matches(host, None, port) for rule in _LOCAL_NAMES)
            reason = "the name means this machine" if local else self._rest_refusal(host, None, port)
        if reason is not None:
            raise _refused(host, port, reason)

    def _refusal(self, host: str, address: Address, port: int) -> str | None:
        reason = self._named_refusal(host, address, port)
        if reason is not None or self._is_allowed(host, address, port):
            return reason
        reason = self._rest_refusal(host, address, port)
        special = special_network(address)
        if reason is not None or special is None or (special.is_private and self._private):
            return reason
        return f"{address} is a {special.kind} address ({special.network}), and egress_allow does not name it"

    def _is_allowed(self, host: str, address: Address | None, port: int) -> bool:
        return any(rule.matches(host, address, port) for rule in self._allow)

    def _named_refusal(self, host: str, address: Address | None, port: int) -> str | None:
        return _first_match(self._deny, host, address, port)

    def _rest_refusal(self, host: str, address: Address | None, port: int) -> str | None:
        return _first_match(self._deny_the_rest, host, address, port)


def _first_match(rules: Sequence[EgressRule], host: str, address: Address | None, port: int) -> str | None:
    found = next((rule for rule in rules if rule.matches(host, address, port)), None)
    return None if found is None else f"egress_deny has {found}"


def _refused(host: str, port: int, reason: str) -> EgressRefused:
    return EgressRefused(f"egress to {host} port {port} is refused: {reason}")
