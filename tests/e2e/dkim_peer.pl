#!/usr/bin/perl
# DKIM and ARC by Mail::DKIM, many messages in one process.
#
#   dkim_peer.pl RECORDS verify FILE...              prints a line a file: "selector result" for each signature
#   dkim_peer.pl RECORDS arc-verify FILE...          the result of the chain
#   dkim_peer.pl RECORDS sign DOMAIN SELECTOR KEY OUTPUT CANON FILE...       CANON: header/body
#   dkim_peer.pl RECORDS arc-sign DOMAIN SELECTOR KEY OUTPUT SRV-ID FILE...
#
# RECORDS: a file of lines "name text", instead of the DNS. Exit status 3: Mail::DKIM is missing.
use strict;
use warnings;

BEGIN {
	$SIG{__WARN__} = sub { };    # of what it reads; the results count
	eval {
		require Mail::DKIM::Verifier;
		require Mail::DKIM::Signer;
		require Mail::DKIM::ARC::Verifier;
		require Mail::DKIM::ARC::Signer;
		require Mail::DKIM::DNS;
		1;
	} or exit 3;
}

my ($records, $what, @words) = @ARGV;
my %text;
open(my $in, '<', $records) or die "$records: $!";
while (<$in>) {
	chomp;
	my ($name, $record) = split(/ /, $_, 2);
	$text{lc $name} = $record;
}
close($in);

{
	package Records;    # as much of Net::DNS as is asked for
	sub new { return bless {}, shift }
	sub query { my ($self, $name) = @_; return $self->send($name) }

	sub send {
		my ($self, $name) = @_;
		$self->{found} = $text{lc $name};
		return defined $self->{found} ? bless({text => $self->{found}}, 'Packet') : undef;
	}
	sub errorstring { return 'NXDOMAIN' }

	package Packet;
	sub answer { return bless({text => $_[0]{text}}, 'Record') }
	sub header { return bless({}, 'Header') }

	package Header;
	sub rcode { return 'NOERROR' }

	package Record;
	sub type { return 'TXT' }
	sub txtdata { return $_[0]{text} }
	sub char_str_list { return ($_[0]{text}) }
}
Mail::DKIM::DNS::resolver(Records->new);

sub slurp {
	my ($path) = @_;
	open(my $file, '<:raw', $path) or die "$path: $!";
	local $/;
	return scalar <$file>;
}

sub run {
	my ($object, $message) = @_;
	$object->PRINT($message);
	$object->CLOSE;
	return $object;
}

sub write_out {
	my ($folder, $path, $bytes) = @_;
	$path =~ s{.*/}{};
	open(my $file, '>:raw', "$folder/$path") or die "$folder/$path: $!";
	print $file $bytes;
	close($file);
}

sub crlf { my ($text) = @_; $text =~ s/\r?\n/\r\n/g; return $text }

if ($what eq 'verify') {
	for my $path (@words) {
		my $verifier = eval { run(Mail::DKIM::Verifier->new, slurp($path)) };
		my @results;
		for my $signature ($verifier ? $verifier->signatures : ()) {
			my $selector = $signature->selector // '?';
			$selector =~ s/\s+//g;
			push @results, ($selector eq '' ? '?' : $selector) . ' ' . $signature->result;
		}
		print join(' ', @results), "\n";
	}
} elsif ($what eq 'arc-verify') {
	for my $path (@words) {
		my $verifier = eval { run(Mail::DKIM::ARC::Verifier->new, slurp($path)) };
		print $verifier ? $verifier->result : 'died', "\n";
	}
} elsif ($what eq 'sign') {
	my ($domain, $selector, $key, $output, $canon, @paths) = @words;
	for my $path (@paths) {
		my $signer = eval {
			run(Mail::DKIM::Signer->new(
				Algorithm => 'rsa-sha256', Method => $canon, Domain => $domain,
				Selector => $selector, KeyFile => $key), slurp($path));
		};
		my $field = $signer && $signer->signature ? $signer->signature->as_string : undef;
		write_out($output, $path, crlf("$field\n") . slurp($path)) if defined $field;
		print defined $field ? "ok\n" : "failed\n";
	}
} elsif ($what eq 'arc-sign') {
	my ($domain, $selector, $key, $output, $srv_id, @paths) = @words;
	for my $path (@paths) {
		my $signer = eval {
			run(Mail::DKIM::ARC::Signer->new(
				Algorithm => 'rsa-sha256', Domain => $domain, SrvId => $srv_id, Chain => 'ar',
				Selector => $selector, KeyFile => $key), slurp($path));
		};
		my $fields = $signer ? $signer->as_string : '';
		write_out($output, $path, crlf($fields =~ /\n\z/ ? $fields : "$fields\n") . slurp($path)) if $fields;
		print $fields ? "ok\n" : "failed\n";
	}
}
