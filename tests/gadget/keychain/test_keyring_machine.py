"""The state machine on the real keyring."""

from hypothesis import HealthCheck, Phase, settings

from tests.gadget.keychain.keyring_machine import KeyringMachine

TestKeyring = KeyringMachine.TestCase
TestKeyring.settings = settings(
    max_examples=80,
    stateful_step_count=20,
    deadline=None,
    # Without the phase that explains: it traces every line, which takes most of the time.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
