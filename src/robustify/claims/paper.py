"""What the paper's tables are called, and how its nets were trained."""

PAPER_TABLES = {"mnist": "Table 1", "cifar": "Table 2"}
# of section 5 and of the authors' scripts; radii in the units of this page
PAPER_RECIPES = {
    "mnist": "Torch7's MNIST net, SGD at a rate of 0.01 with momentum 0.9, batches of 100, up to 120 epochs; all nets start from the same weights, robust "
    "ones have a batch normalisation of their input; radii 0.616 (l1, l2) and 0.0616 (l∞), or 0.550 and 0.055 if they standardised padded images, for their loader isn't published; steps "
    "not clipped to the pixel box. `conf/paper` has these settings.",
    "cifar": "VGG with batch normalisation and dropout, SGD at a rate of 1 halved every 25 epochs with momentum 0.9, batches of 128, 300 epochs; radii of roughly 0.05 (l2) "
    "and unpublished (l∞), steps not clipped to the pixel box. `conf/paper` has these settings.",
}
