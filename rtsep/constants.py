"""The numbers in which everything is counted: those that Spleeter's nets were trained with."""

SAMPLE_RATE = 44_100  # Hz
FRAME_LENGTH = 4096  # samples of a spectrogram frame
HOP = 1024  # samples from one frame to the next
