#!/usr/bin/env bash
# Debian packages the tests use. Without root nothing is installed: tests that need what is missing say that they were left out.
# Usage: test-packages.sh [full|bench]
set -euo pipefail
wanted=()
command -v chromium >/dev/null && command -v chromedriver >/dev/null || wanted+=(chromium chromium-driver)
command -v strace >/dev/null || wanted+=(strace)
case "${1:-}" in
  # Debian's ffmpeg brings the libavcodec with which Firefox decodes H.264.
  full) command -v firefox-esr >/dev/null || wanted+=(firefox-esr ffmpeg) ;;
  bench)
    wanted=() # no browser
    [ -x /usr/sbin/nginx ] || wanted+=(nginx-light)
    command -v wrk >/dev/null || wanted+=(wrk)
    ;;
esac
[ ${#wanted[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Not installed, and not root: ${wanted[*]}. The tests that need them are left out."
  exit 0
fi
echo "Installing ${wanted[*]} …"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${wanted[@]}"; } >/tmp/openstage-apt.log 2>&1 ||
  { tail -n 20 /tmp/openstage-apt.log; echo "Could not install ${wanted[*]}: the tests that need them are left out."; }
