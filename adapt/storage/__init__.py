"""Files on disk: atomic writes, digests that reveal damage, the artifact store, and disk errors in plain words."""
