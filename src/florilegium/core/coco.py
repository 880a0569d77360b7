"""The names of the twelve figures of COCO, in its order; apart, so that a detector depends on no more."""

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
