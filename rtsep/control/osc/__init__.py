"""OSC over UDP.

packets.py reads and writes it, senders.py keeps rates, server.py answers, process.py runs that.
"""
