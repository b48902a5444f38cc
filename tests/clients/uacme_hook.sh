#!/bin/bash
# uacme's hook: says to the test what to do with zone or web host, and waits until it is done.
# $1 is begin, done or failed, $2 the challenge, $3 the name, $4 the token, $5 what to answer; CHALLENGE, the one that is
# wanted, and HOOK_PORT come from the test. Any other challenge is declined by a failure.
set -eu
[ "$2" = "$CHALLENGE" ]
case "$2 $1" in
'http-01 begin') line="http+ $4 $5" ;;
'http-01 '*) line="http- $4" ;;
'dns-01 begin') line="txt+ $3 $5" ;;
'dns-01 '*) line="txt- $3 $5" ;;
esac
exec 3<>"/dev/tcp/127.0.0.1/$HOOK_PORT"
echo "$line" >&3
read -r answer <&3
[ "$answer" = ok ]
