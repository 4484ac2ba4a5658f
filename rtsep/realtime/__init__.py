"""The live engine: one audio thread that never waits, one worker thread per stem."""

# What is heard when masks are late, see engine.Engine.
ON_LATE = ("hold", "dry", "mute")
