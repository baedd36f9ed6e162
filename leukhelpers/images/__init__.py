"""From picture files to arrays: cropping, caching, augmentation and measured features."""
