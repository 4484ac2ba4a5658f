"""The live engine: an audio thread that mixes with what is there, a worker thread per net."""

# What is heard when masks are late, see engine.Engine.
ON_LATE = ("hold", "dry", "mute")
# What is heard where nobody says it.
DEFAULT_STEM = "vocals"
# How nets become masks, see session.py: all nets share each bin, or each has a mask of its own.
RATIO, INDEPENDENT = "ratio", "independent"
MASKING = (RATIO, INDEPENDENT)
