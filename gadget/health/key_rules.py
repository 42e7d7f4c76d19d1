"""Rules about keys, marks and passphrases. Pure. Used by `rules`."""

from typing import Final

from gadget.health.report import Sample
from gadget.health.rule import CRITICAL, INFO, WARNING, Rule, hourly

__all__ = ["KEY_RULES"]

_WRONG_PASSPHRASES: Final = 3
_STALE_PER_HOUR: Final = 5
_THROTTLED: Final = ("unlock_throttled", "new_throttled", "change_throttled", "delete_throttled")
_WRONG: Final = (
    "unlock_bad_passphrase",
    "new_bad_passphrase",
    "change_bad_passphrase",
    "delete_bad_passphrase",
)


def _keystore(sample: Sample) -> str:
    return sample.keys.problem


def _no_keys(sample: Sample) -> str:
    if sample.keys.problem or sample.keys.keys:
        return ""
    return "there is no key yet" if sample.keys.initialised else "there is no keystore yet"


def _all_locked(sample: Sample) -> str:
    keys = sample.keys.keys
    if not keys or any(key.lock_state == "unlocked" for key in keys):
        return ""
    return "no key is unlocked: nothing can be signed"


def _some_locked(sample: Sample) -> str:
    locked = [key.id for key in sample.keys.keys if key.lock_state == "locked"]
    return f"locked: {', '.join(locked)}" if locked and not _all_locked(sample) else ""


def _throttled(sample: Sample) -> str:
    count = hourly(sample.signing.rejections, *_THROTTLED)
    return f"{count} passphrases were refused unseen: too many tries" if count else ""


def _wrong(sample: Sample) -> str:
    count = hourly(sample.signing.rejections, *_WRONG)
    return f"{count} wrong passphrases in the last hour" if count >= _WRONG_PASSPHRASES else ""


def _unusable(sample: Sample) -> str:
    ids = [key.id for key in sample.keys.keys if key.lock_state == "unusable"]
    return f"the marks can't be read, so nothing is signed by: {', '.join(ids)}" if ids else ""


def _damaged(sample: Sample) -> str:
    return "; ".join(
        f"{key.id}: {key.marks_problem}" for key in sample.keys.keys if key.marks_problem
    )


def _replaced(sample: Sample) -> str:
    count = sample.software_health.recoveries.marks_replaced
    return f"{count} damaged copies of marks were replaced by the good one" if count else ""


def _stale(sample: Sample) -> str:
    count = hourly(sample.signing.rejections, "stale_watermark")
    return f"{count} requests at or below the marks in an hour" if count > _STALE_PER_HOUR else ""


_UNLOCK: Final = (
    "tezsign unlock; or leave the passphrase to tezsign run, which then does it after each start."
)
_LEVEL: Final = "tezsign advanced set-level, to the head of the chain at least: docs/failover.md."

KEY_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "keystore_unusable",
        "keys_ready",
        CRITICAL,
        _keystore,
        "Restore the keys on another card from an export, or make new ones: docs/failover.md.",
    ),
    Rule("no_keys", "keys_ready", WARNING, _no_keys, "tezsign init, then tezsign new."),
    Rule("keys_locked", "keys_ready", CRITICAL, _all_locked, _UNLOCK),
    Rule("key_locked", "keys_ready", WARNING, _some_locked, _UNLOCK),
    Rule(
        "passphrase_throttled",
        "keys_ready",
        WARNING,
        _throttled,
        "Wait 30 s. If it was not you, see who else has access to the host.",
    ),
    Rule(
        "passphrase_wrong",
        None,
        WARNING,
        _wrong,
        "If it was not you, see who else has access to the host.",
    ),
    Rule("marks_unusable", "watermarks_ok", CRITICAL, _unusable, _LEVEL),
    Rule(
        "marks_damaged",
        "watermarks_ok",
        CRITICAL,
        _damaged,
        "Don't restart the board: move the keys to another card now (docs/failover.md).",
    ),
    Rule(
        "marks_replaced",
        "watermarks_ok",
        WARNING,
        _replaced,
        "The card begins to lose data: move the keys to another one, docs/failover.md.",
    ),
    Rule(
        "stale_requests",
        None,
        INFO,
        _stale,
        "See whether a second baker uses this key, or this one was started twice.",
    ),
)
