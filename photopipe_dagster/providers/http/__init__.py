"""Cut-outs by a server of one's own, whatever it is."""
