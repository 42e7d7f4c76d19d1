import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.events import EventType
from registrar.state import Action, Step, UsbState, advance

# Rows: where we are; columns: what happens. "-" = nothing changes.
TABLE = """
            BIND         UNBIND         ENABLE          DISABLE      SUSPEND    RESUME   SETUP
UNBOUND     BOUND        -              ENABLED+SERVE   BOUND        -          -        -
BOUND       -            UNBOUND        ENABLED+SERVE   -            -          -        -
ENABLED     BOUND+STOP   UNBOUND+STOP   ENABLED+RENEW   BOUND+STOP   SUSPENDED  -        -
SUSPENDED   BOUND+STOP   UNBOUND+STOP   ENABLED+RENEW   BOUND+STOP   -          ENABLED  ENABLED
"""


def table_rows() -> list[tuple[UsbState, EventType, Step]]:
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (UsbState[name], EventType[event], parse_cell(UsbState[name], cell))
        for name, *cells in rows
        for event, cell in zip(head, cells, strict=True)
    ]


def parse_cell(before: UsbState, cell: str) -> Step:
    state, _, action = cell.partition("+")
    after = before if state == "-" else UsbState[state]
    return Step(state=after, action=Action[action or "NONE"])


@pytest.mark.parametrize(("before", "event", "step"), table_rows())
def test_each_event_leads_where_the_table_says(
    before: UsbState, event: EventType, step: Step
) -> None:
    assert advance(before, event) == step


def test_table_has_every_state_and_event() -> None:
    assert len(table_rows()) == len(UsbState) * len(EventType)


@given(st.lists(st.sampled_from(EventType)))
def test_socket_is_served_exactly_while_enabled_or_suspended(events: list[EventType]) -> None:
    state, is_served = UsbState.UNBOUND, False
    for event in events:
        step = advance(state, event)
        match step.action:
            case Action.SERVE:
                assert not is_served
                is_served = True
            case Action.RENEW:
                assert is_served
            case Action.STOP:
                assert is_served
                is_served = False
            case Action.NONE:
                pass
        state = step.state
        assert is_served == (state in (UsbState.ENABLED, UsbState.SUSPENDED))


@given(st.lists(st.sampled_from(EventType)))
def test_enable_always_leads_to_a_new_session(events: list[EventType]) -> None:
    state = UsbState.UNBOUND
    for event in events:
        state = advance(state, event).state
    step = advance(state, EventType.ENABLE)
    assert step.state is UsbState.ENABLED
    assert step.action in (Action.SERVE, Action.RENEW)
