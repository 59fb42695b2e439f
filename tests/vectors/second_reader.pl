#!/usr/bin/perl
# A second implementation of the rules of docs/rules.md, written from that page alone: no code of firkin is used.
# Reads the vectors of a directory, prints what differs, and how many cases were looked at.
use strict;
use warnings;
use utf8;
use Digest::SHA qw(sha256_hex);
use JSON::PP;
use MIME::Base64;

my $directory = shift // '.';
my ($count, $wrong) = (0, 0);

sub document {
    my ($name) = @_;
    open my $file, '<:raw', "$directory/$name" or die "$directory/$name: $!\n";
    local $/;
    return decode_json(<$file>);
}

sub bytes_of { my ($text) = @_; utf8::encode($text); return $text }

sub check {
    my ($what, $input, $expected, $found) = @_;
    $count++;
    return if $expected eq $found;
    $wrong++;
    print "$what ", encode_json([$input]), ": expected '$expected', found '$found'\n";
}

sub has_odd_component {
    my ($path) = @_;
    return scalar grep { $_ eq '' || $_ eq '.' || $_ eq '..' } split m{/}, $path, -1;
}

sub id_reason {
    my $id = bytes_of(shift);
    return 'empty' if $id eq '';
    return 'length' if length $id > 64;
    return 'character' if $id =~ /[^A-Za-z0-9_.\-]/;
    return $id =~ /\A[_.\-]/ ? 'first' : '';
}

sub guest_path_reason {
    my $path = bytes_of(shift);
    return 'empty' if $path eq '';
    return 'nul' if index($path, "\0") >= 0;
    return 'root' if $path eq '/';
    return 'absolute' if substr($path, 0, 1) ne '/';
    return has_odd_component(substr $path, 1) ? 'component' : '';
}

sub relative_path_reason {
    my $path = bytes_of(shift);
    return 'empty' if $path eq '';
    return 'nul' if index($path, "\0") >= 0;
    return 'relative' if substr($path, 0, 1) eq '/';
    return has_odd_component($path) ? 'component' : '';
}

sub member_path {
    my $name = bytes_of(shift);
    return 'refused' if $name eq '' || index($name, "\0") >= 0;
    my @kept;
    for my $component (split m{/}, $name, -1) {
        next if $component eq '' || $component eq '.';
        if ($component ne '..') { push @kept, $component; next }
        return 'refused' unless @kept;
        pop @kept;
    }
    return 'at ' . join '/', @kept;
}

sub chain_ids {
    my @chain;
    push @chain, @chain ? 'sha256:' . sha256_hex("$chain[-1] $_") : $_ for @_;
    return join ' ', @chain;
}

my $names = document('names.json');
my %rules = (ids => \&id_reason, guest_paths => \&guest_path_reason, relative_paths => \&relative_path_reason);
for my $kind (sort keys %rules) {
    check($kind, $_->{value}, $_->{why}, $rules{$kind}->($_->{value})) for @{ $names->{$kind} };
}
for my $case (@{ document('tar_members.json')->{cases} }) {
    my $expected = defined $case->{path} ? 'at ' . bytes_of($case->{path}) : 'refused';
    check('tar member', $case->{name}, $expected, member_path($case->{name}));
}
my $digests = document('digests.json');
for my $case (@{ $digests->{texts} }) {
    my $found = bytes_of($case->{value}) =~ /\Asha256:[0-9a-f]{64}\z/ ? 1 : 0;
    check('digest', $case->{value}, $case->{accepted} ? 1 : 0, $found);
}
for my $case (@{ $digests->{contents} }) {
    my $content = decode_base64($case->{content_base64});
    check('content', $case->{content_base64}, $case->{digest}, 'sha256:' . sha256_hex($content));
}
for my $case (@{ $digests->{chains} }) {
    check('chain', $case->{diff_ids}, join(' ', @{ $case->{chain_ids} }), chain_ids(@{ $case->{diff_ids} }));
}
for my $case (grep { $_->{what} eq 'template' } @{ document('layout.json')->{cases} }) {
    my ($hex) = $case->{arguments}{chain_id} =~ /\Asha256:(.*)\z/s;
    check('template', $hex, $case->{path}, "/run/firkin/pod-store/templates/sha256-$hex");
}
print "$count cases, $wrong differ\n";
exit($wrong ? 1 : 0);
