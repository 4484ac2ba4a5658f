"""PulseAudio, and whatever speaks its protocol, without PortAudio and ALSA in between."""
