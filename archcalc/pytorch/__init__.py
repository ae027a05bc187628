"""The graph in PyTorch: its source, the module made from that, and what can be learned by running it. torch lives only here."""
