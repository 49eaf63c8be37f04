"""What a release is measured by: the store and its yardsticks, alternately, in one run; ratios, not absolute figures."""
