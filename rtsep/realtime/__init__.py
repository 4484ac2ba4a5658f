"""The live engine: one audio thread that never waits, one worker thread per stem."""
