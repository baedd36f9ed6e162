# Each target is a task of make.py, which installs the course into .venv first.
SUITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python $(SUITS) 2>/dev/null && echo $$python && break; done || true)

.PHONY: install course app test test-all mutation lessons site slides bundle colab badges lock

install course app test test-all mutation lessons site slides bundle:
	@"$(or $(PYTHON),python3)" make.py $@

# make colab LESSONS="00 05" runs only these.
colab:
	@"$(or $(PYTHON),python3)" make.py $@ $(LESSONS)

# make badges REPO=owner/name; without REPO they are taken away.
badges:
	@"$(or $(PYTHON),python3)" make.py $@ $(if $(REPO),"$(REPO)")

# For maintainers: pin the versions again.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-emit-index-url --no-header --quiet \
		-o requirements/lock.txt
