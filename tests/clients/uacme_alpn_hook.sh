#!/bin/bash
# uacme's hook for tls-alpn-01: tells ualpn, which uacme brings for that, what to show.
# $1 is begin, done or failed, $2 the challenge, $3 the name, $5 what to show; UALPN is the program and UALPN_SOCKET where
# it listens, both from the test. Any other challenge is declined by a failure.
set -eu
[ "$2" = tls-alpn-01 ]
line="unauth $3"
[ "$1" = begin ] && line="auth $3 $5"
# It ends with a failure whatever the answer is.
answer=$(echo "$line" | "$UALPN" --sock "$UALPN_SOCKET") || true
[ "${answer%% *}" = OK ]
