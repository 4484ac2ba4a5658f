"""What `pw-dump` prints is read, also while nodes come and go."""

from __future__ import annotations

import json

import pytest

from rtsep.devices.graph.pipewire_nodes import read_dump


def _item(number, **info):
    return {"id": number, "type": "PipeWire:Interface:Node", "info": info}


def test_lists_of_changes_stand_behind_the_list():
    lists = (
        [_item(1, state="idle"), _item(2), _item(3)],
        [_item(1, state="running"), {"id": 2, "info": None}],
        [{"id": 7, "info": None}, _item(4)],
    )
    text = "\n".join(json.dumps(objects, indent=2) for objects in lists) + "\n"
    assert read_dump(text) == [_item(1, state="running"), _item(3), _item(4)]


@pytest.mark.parametrize("text", ["[{]", '[{"id": 1, "type": "', "no server"])
def test_something_else_is_refused(text):
    with pytest.raises(json.JSONDecodeError):
        read_dump(text)
