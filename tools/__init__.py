"""Build and publish the course: notebooks, slides, site, bundle; measure the package."""
