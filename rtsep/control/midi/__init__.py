"""MIDI controllers and pedals: what their controls do, and the process that listens to them.

midi_map.py     what each control does, as a file; events.py: messages as presses and positions
actions.py      from a control to a command; pickup.py: faders that take over softly; learning.py
inputs.py       the devices there are, of jack_midi.py and system_midi.py
process.py      the process
"""
