"""The benchmark: our webhook, pipeline and classifier, each against what one would write otherwise, in one run."""
