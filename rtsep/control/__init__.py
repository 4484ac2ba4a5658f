"""Control from outside: the page for phones and the protocol that it speaks, OSC, and MIDI.

    protocol.py        the commands and messages of the protocol; what is not among them is refused
    commands.py        the seam: what a program implements so that it can be controlled
    mixing.py          the seam over a mixer; stream.py: over a live stream
    control.py         what a program holds: it starts the processes and does what these are told
    ways.py            the ways in; door.py: the process of one; child.py: what they have in common
    server_process.py  the page's process; server.py, client.py, access.py, rates.py: its parts
    page/              the files that it serves
    command_path.py    commands as OSC and MIDI maps write them
    osc/, midi/        their processes

The processes import neither NumPy nor anything of a stream.
"""
