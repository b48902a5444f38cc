#!/bin/bash
# Certbot's hooks for dns-01: says to the test what to do with the zone, and waits until it is done.
# $1 is txt+ (auth hook) or txt- (clean-up hook); HOOK_PORT comes from the test, the rest from certbot.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$HOOK_PORT"
echo "$1 $CERTBOT_DOMAIN $CERTBOT_VALIDATION" >&3
read -r answer <&3
[ "$answer" = ok ]
