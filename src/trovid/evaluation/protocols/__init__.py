"""How detections are judged: one protocol a file, named as figures are."""
