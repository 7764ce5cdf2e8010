#!/bin/sh
# Makes the bucket, and the account of Photopipe, which may use that bucket and nothing else. Compose
# runs it at every start, as root of the store: a second time it changes nothing.
set -eu
mc mb --ignore-existing "store/$S3_BUCKET"
cat > /tmp/policy.json <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
      "Resource": "arn:aws:s3:::$S3_BUCKET/*"
    },
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::$S3_BUCKET"}
  ]
}
POLICY
mc admin policy create store photopipe-pictures /tmp/policy.json
mc admin user add store "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
# Attaching what is attached is an error there.
case "$(mc admin user info --json store "$AWS_ACCESS_KEY_ID")" in
    *photopipe-pictures*) ;;
    *) mc admin policy attach store photopipe-pictures --user "$AWS_ACCESS_KEY_ID" ;;
esac
