"""The suite behind `rtsep-bench`: kernels, the same net in other runtimes, offline separation.

One module per subcommand (kernels, peers, offline), each with the same four functions; see
rtsep/cli/bench.py. The others are what they share. README.md says how to run it and how to read it.
"""
